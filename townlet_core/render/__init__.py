"""What a town looks like: as a scene, as text, as a picture; and recordings, played again to be watched."""
