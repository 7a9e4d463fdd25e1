"""What plain HTTP serves: the API, health and metrics. Imports everything but `app`."""
