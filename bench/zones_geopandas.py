"""The peer of `zones`, run by the peers' interpreter: geopandas joins places to zones, as often as it is told.

    PYTHON -P zones_geopandas.py PLACES.npz ROUNDS

The file holds `lons`, `lats` and `zones` (WKB in hexadecimal). It prints, as JSON, the milliseconds of each join, of
making the points beforehand, and the number of pairs.
"""

from __future__ import annotations

import json
import sys
import time

import geopandas
import numpy as np
import shapely


def main() -> None:
    """Join, and say how long it took."""
    given = np.load(sys.argv[1])
    zones = geopandas.GeoDataFrame(geometry=shapely.from_wkb(given["zones"]))
    begun = time.perf_counter()
    places = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(given["lons"], given["lats"]))
    making = (time.perf_counter() - begun) * 1000
    joins, pairs = [], 0
    for _ in range(int(sys.argv[2])):
        # The tree of the places is kept between joins, and would be had for nothing the second time.
        fresh = geopandas.GeoDataFrame(geometry=places.geometry.values.copy())
        begun = time.perf_counter()
        pairs = len(fresh.sjoin(zones, predicate="intersects"))
        joins.append((time.perf_counter() - begun) * 1000)
    print(json.dumps({"joins": joins, "making": making, "pairs": pairs}))


if __name__ == "__main__":
    main()
