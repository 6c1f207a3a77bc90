"""The Earth, not the city: places and axis order, boundaries, zones, measures, the tile pyramid, vector tiles.

The only home of SRIDs and of PostGIS functions. It knows no municipality, no report and no law: it takes keys
and shapes.
"""
