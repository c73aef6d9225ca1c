"""Tests of the choice of the training steps to record, and of the map of embeddings."""

import numpy as np

MOMENTS = """
import { momentsOf } from "./moments.js";
const answer = ([steps, room]) => momentsOf(steps, room);
"""
PLACES = """
import { places, turned } from "./principal_axes.js";
const answer = ([numbers, width, others]) => {
  const found = places(Float32Array.from(numbers), width);
  return Array.from(others ? turned(found, Float32Array.from(others)) : found);
};
"""


def test_the_recorded_steps_are_limited_and_densest_at_the_start(node) -> None:
    inputs = [[steps, room] for steps in (1, 7, 100, 1000, 50_000) for room in (0, 3, 100, 9999)]
    for (steps, room), found in zip(inputs, node(MOMENTS, inputs), strict=True):
        assert (found[0], found[-1]) == (0, steps)
        assert found == sorted(set(found))
        assert len(found) <= max(2, min(room, 115))
    assert node(MOMENTS, [[1000, 100]])[0][:8] == [0, 1, 2, 5, 10, 20, 30, 40]


def axes(points: np.ndarray) -> np.ndarray:
    """Return the coordinates of points along their first two principal axes: (points, 2)."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred)
    return centred @ directions[:2].T


def test_embeddings_are_projected_on_their_two_principal_axes(node) -> None:
    rng = np.random.default_rng(0)
    points = [
        rng.normal(size=(n, width)) * np.linspace(3, 0.5, width)
        for n, width in ((27, 16), (3, 4), (200, 2), (40, 128))
    ]
    inputs = [[each.astype(np.float32).ravel().tolist(), each.shape[1]] for each in points]
    for found, each in zip(node(PLACES, inputs), points, strict=True):
        expected = axes(each.astype(np.float32).astype(float))
        places = np.reshape(found, (-1, 2))
        signs = np.sign((places * expected).sum(axis=0))
        np.testing.assert_allclose(places * signs, expected, atol=1e-3 * np.abs(expected).max())


def test_a_map_of_embeddings_is_oriented_like_the_previous_map(node) -> None:
    points = np.random.default_rng(1).normal(size=(27, 16)) * np.linspace(3, 0.5, 16)
    before = axes(points)
    angle = 2.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for others in (before @ turn, before * [1, -1] @ turn):
        given = [points.astype(np.float32).ravel().tolist(), 16, others.ravel().tolist()]
        (found,) = node(PLACES, [given])
        np.testing.assert_allclose(np.reshape(found, (-1, 2)), others, atol=0.02)
