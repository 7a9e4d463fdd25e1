"""The pages' own elements: each a Python class that says what to show, and a script that draws it.

`shared/` holds the scripts that they have in common. An element names every script that its own one leads to.
The stem of every script is unique among all of NiceGUI's components: the framework wants it so.
"""
