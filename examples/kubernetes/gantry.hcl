# What all environments share: the order in which releases move (gantry promote --auto).
environments = ["staging", "production"]
