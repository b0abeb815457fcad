"""Commands that start nodes, measure them or look after them."""
