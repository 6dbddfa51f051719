"""The parts of the page's payload: each takes the view of a study to its manifest and blobs."""
