"""All flights that left New York in 2013, loaded and queried through three drivers."""
