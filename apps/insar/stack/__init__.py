"""`mvnet denoise insar STACK`: every pair of a stack of interferograms, on several processes or on a cluster.

    run_stack(StackJob(find_stack(path), jobs=2), options)

`pair` does one pair, `run` brings them together, `report` makes the page.
"""
