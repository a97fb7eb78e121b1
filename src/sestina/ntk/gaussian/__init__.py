"""The calculus under everything: expectations of functions of Gaussian variables.

hermite (the polynomials), series (thousands of their terms on a grid), duals (E[φ(u)φ(v)] in closed
form), quadrature (and without one).
"""
