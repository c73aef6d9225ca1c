"""What sweeps say, for programs: as one JSON document, and a row a point as CSV.

An interval is told as half of it, at 95 %.
"""

import csv
import io
from dataclasses import asdict
from typing import Any

from microgpt_evolution.sweep.power_law import FittedLaw
from microgpt_evolution.sweep.scaling import Cell, Scaling, Series


def as_document(scaling: Scaling) -> dict[str, Any]:
    """Return all of it, as JSON can hold it; series name points by their places, from 0."""
    return {
        "points": [
            _point(scaling, cell) | {"samples": list(cell.samples)} for cell in scaling.cells
        ],
        "series": [_series(scaling, series) for series in scaling.series],
    }


def as_csv(scaling: Scaling) -> str:
    """Return a row for each point."""
    rows = [_point(scaling, cell) for cell in scaling.cells]
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _point(scaling: Scaling, cell: Cell) -> dict[str, Any]:
    return {
        **asdict(cell.point),
        "n_params": cell.n_params,
        "flops": cell.flops,
        "cpu_seconds": cell.cpu_seconds,
        "n_seeds": len(cell.losses),
        "val_loss": cell.val_loss.value,
        "val_loss_95": cell.val_loss.half_width,
        "last_loss": cell.last_loss.value,
        "last_loss_95": cell.last_loss.half_width,
        "is_best": cell in scaling.front,
    }


def _series(scaling: Scaling, series: Series) -> dict[str, Any]:
    return {
        "axis": series.axis,
        "rows": [
            {
                "point": scaling.cells.index(cell),
                "x": cell.x(series.axis),
                "val_loss": cell.val_loss.value,
                "drop": r.drop.value if r else None,
                "drop_95": r.drop.half_width if r else None,
                "return": r.per_unit.value if r else None,
                "return_95": r.per_unit.half_width if r else None,
            }
            for cell, r in zip(series.cells, series.returns, strict=True)
        ],
        "power_law": _law(series.law) if series.law else None,
    }


def _law(fitted: FittedLaw) -> dict[str, float | None]:
    law = {**asdict(fitted.law)}
    law |= {"exponent_95": fitted.half_width(lambda law: law.exponent)}
    return law | {"floor_95": fitted.half_width(lambda law: law.floor)}
