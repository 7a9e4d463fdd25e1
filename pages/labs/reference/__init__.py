"""The reference: the contract of `/ws/markets` and of HTTP as a page for people."""
