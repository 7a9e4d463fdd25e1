"""The Labs pages. They know the services and the models, never an exchange."""
