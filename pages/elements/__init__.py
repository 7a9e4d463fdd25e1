"""The pages' own elements: each a Python class that says what to show, and a script that draws it.

The stem of every script here is unique among all of NiceGUI's components: the framework wants it so.
"""
