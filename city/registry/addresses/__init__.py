"""The register of streets and house numbers: read in, found by place and by words."""
