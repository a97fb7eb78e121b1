"""The inverse map: from a kernel to the network that has it.

inverse (`design`), options, then its stages: signs, searches, relu_fits and wave_fits choose the
activation; forms and form_duals are what it becomes; measures and variance what is declared of it;
files and packing keep it.
"""
