"""Self-contained HTML pages: one style, templates that escape what they are given, no access to any network.

`document` is the page; all other functions make its parts, pieces of HTML. A page is opened from the disk, is read
with and without scripts, by day and by night, by keyboard, on paper and by a screen reader.
"""

from mvnet.apps.common.page.image_viewer import Layer, images
from mvnet.apps.common.page.parts import document, figure, heading, link, paragraph, picture, slider, table
from mvnet.apps.common.page.skeletons import skeletons
from mvnet.apps.common.page.templates import script_data
from mvnet.apps.common.page.timeline import legend, timeline
from mvnet.apps.common.page.volume_viewer import Grid, ScalarMap, volumes

__all__ = [
    "Grid",
    "Layer",
    "ScalarMap",
    "document",
    "figure",
    "heading",
    "images",
    "legend",
    "link",
    "paragraph",
    "picture",
    "script_data",
    "skeletons",
    "slider",
    "table",
    "timeline",
    "volumes",
]
