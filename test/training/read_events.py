"""Prints the scalars of a folder of event files as JSON, {tag: [[step, value], …]}: `python read_events.py FOLDER`.

It needs the package tensorboard, whose own reader this is.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(json.dumps({tag: [[one.step, one.value] for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}))
