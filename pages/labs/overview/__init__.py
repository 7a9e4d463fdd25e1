"""Labs › Overview: the figures of all symbols of an exchange in one table.

page        builds the elements, and sends what changed in sight twice a second
overview    state of one page: subscription, order of the rows, what it says
ranking     filters, sorts, and finds the movers
url         a page's address, read and written
"""
