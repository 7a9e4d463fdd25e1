"""The route `/ws/markets`: its connections and what each is subscribed to. Imports `feed` and below."""
