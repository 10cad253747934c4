"""Every generation on the same images under one budget: trained, judged, measured, advised on."""
