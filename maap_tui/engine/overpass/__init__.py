"""When a satellite comes near a place or a platform: geometry, sun, orbit files, platform tracks; pure."""
