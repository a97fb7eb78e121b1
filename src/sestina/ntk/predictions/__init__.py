"""What a wide network predicts, and how well.

regression (gradient flow at any time), posteriors (Gaussian processes, leave-one-out), estimators
(for scikit-learn), forecasts (the test error before training).
"""
