"""The inverse map: from a kernel to the network that has it.

inverse (`design`), options, then its stages: building, with signs, searches, relu_fits and
wave_fits, chooses the activation; forms and form_duals are what it becomes; measures and variance
what is declared of it; origins and inputs say what was asked for and what to do with data; records,
files and packing keep it.
"""
