"""Labs › Status: what needs a person, and how everything fares.

page     builds the elements, and sends once a second what changed
tables   the rows of each table, from the report
columns  the columns of each table
bus      the part about the bus
breaks   the buttons that cause faults of the simulator
"""
