"""Files of other programs: gradient tables as text, images of MRtrix, 3D Slicer and AFNI, complex scans."""
