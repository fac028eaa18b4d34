"""Motion files the tests write."""


def bvh(frames, order="ZXY", second="YZX", names=("hips", "chest", "neck")):
    """A chain of three joints; frames (n, 12): root position, then three angles in degrees for each joint."""
    channels = [" ".join(f"{axis}rotation" for axis in text) for text in (order, second, order)]
    lines = f"""HIERARCHY
ROOT {names[0]}
{{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition {channels[0]}
  JOINT {names[1]}
  {{
    OFFSET 1 20 0
    CHANNELS 3 {channels[1]}
    JOINT {names[2]}
    {{
      OFFSET 0 15 -2
      CHANNELS 3 {channels[2]}
      End Site
      {{
        OFFSET 0 5 0
      }}
    }}
  }}
}}
MOTION
Frames: {len(frames)}
Frame Time: 0.02
""".splitlines()
    return "\n".join(lines + [" ".join(f"{v:.6f}" for v in row) for row in frames]) + "\n"


def trc(x, names=("LASI", "RASI", "SACR")):
    """Markers (frames, n, 3) in mm, NaN where not seen."""
    head = [
        "PathFileType\t4\t(X/Y/Z)\ta.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"100\t100\t{len(x)}\t{len(names)}\tmm\t100\t1\t{len(x)}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{k}" for k in range(1, len(names) + 1) for axis in "XYZ"),
        "",
    ]
    rows = [
        "\t".join([str(k + 1), f"{k / 100:.3f}", *("" if v != v else f"{v:.6f}" for v in frame.ravel())])
        for k, frame in enumerate(x)
    ]
    return "\n".join([*head, *rows]) + "\n"
