"""Charts of loss curves, scaling, and searches: generations, genes, species, lineage and more."""
