"""What the embedded exchange trades, and what it remembers of it; imports nothing of the other parts."""
