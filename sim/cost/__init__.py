"""Money: ownership, rental, energy, cost per token."""
