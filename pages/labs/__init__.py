"""The Labs pages; they know the services and the models, never an exchange."""
