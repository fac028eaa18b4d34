"""Methods that move a point by elements of a group: paper section 2.4.3."""
