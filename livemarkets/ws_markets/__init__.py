"""The route `/ws/markets`: its connections and their subscriptions. Imports `feed` and below."""
