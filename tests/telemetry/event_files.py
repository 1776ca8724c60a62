"""What TensorBoard reads in a folder of event files."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read_events(folder):
    """Return the points of every scalar of a data mode's folder: {tag: [(step, value), …]}."""
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    read.Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def read_histogram(folder, tag):
    """Return the counts of the last histogram."""
    read = EventAccumulator(str(folder))
    read.Reload()
    return read.Histograms(tag)[-1].histogram_value.bucket
