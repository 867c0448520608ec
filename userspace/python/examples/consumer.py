#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR GPL-2.0
"""Print the records of a channel, with other tasks of an event loop running meanwhile.

usage: consumer.py [CHANNEL]
"""
import asyncio
import sys

import bpipe


async def records(channel):
    """Yield the records of a channel that was opened with nonblock."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    while True:
        try:
            frames = channel.read_frames()
        except BlockingIOError:
            # Watch the file only while there is nothing to read: it stays readable until then.
            ready.clear()
            loop.add_reader(channel, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(channel)
            continue
        if not frames:
            return
        for frame in frames:
            yield frame
        await asyncio.sleep(0)      # let other tasks run while records keep coming


async def main():
    with bpipe.Channel(*sys.argv[1:2], nonblock=True) as channel:
        async for frame in records(channel):
            if frame.lost:
                print("%d records of class %d were dropped here" % (frame.lost, frame.class_))
            print("%d: %s" % (frame.seq, frame.data.decode(errors="replace").rstrip()), flush=True)


asyncio.run(main())
