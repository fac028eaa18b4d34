"""Stacks of interferograms: which pairs there are, and how denoised ones are written back in the same form.

    stack = find_stack(Path("ifgramStack.h5"))        None for what is one scene
    for pair in stack.pairs: open_interferogram(pair.path, layer=pair.layer)

A kind of stack is one file here and one line in `registry.KINDS`. A stack is a folder with files for every pair, or one
file with an axis of pairs. Of a folder the files of a pair are written at once; of a file the pairs are gathered, and
written into a copy when all are there.
"""
