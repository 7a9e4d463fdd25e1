"""The pages' own elements. Each has a Python class that says what to show, and a script that draws it.

`shared/` holds the scripts that several elements import. The dependencies of an element are all scripts that
its own script imports, directly or through others. NiceGUI requires that the stem of every script is unique.
"""
