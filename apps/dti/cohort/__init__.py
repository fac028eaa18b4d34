"""`mvnet denoise dti --bids`: every subject of a BIDS data set, on several processes or on a cluster.

    run_cohort(Cohort(root, output, labels=("01", "02"), jobs=2), options)

`dataset` finds the images, `subject` does one subject, `run` brings them together, and `validator` calls the standard's
own validator.
"""
