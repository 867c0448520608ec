# SPDX-License-Identifier: MIT OR GPL-2.0
"""Channels of bpipe, pipes with a fixed size, watermarks, classes and rate limits.

    import bpipe

    with bpipe.Channel("jobs", "rw") as channel:
        channel.set_config(mode="record", size=4 << 20, limit={7: 2 << 20})
        channel.set_writer(class_=7, policy="drop-newest")
        channel.write(b"a record")
        for frame in channel.read_frames():
            print(frame.seq, frame.data, frame.lost)
        print(channel.stats().state)

Fields have the names of <linux/bpipe.h>, and bpipe(4) explains them. Sizes are in bytes,
times in nanoseconds. A field that stands for a word is that word: "record", "pressured". A
word that this module does not know is a number.

What the device refuses raises OSError with its errno. BlockingIOError, ENOTTY and the others
are explained in bpipe(4).

A channel has a fileno(), so select, selectors and asyncio wait for it:

    channel = bpipe.Channel("jobs", "r", nonblock=True)
    asyncio.get_running_loop().add_reader(channel, work, channel)

Call read_frames() until it raises BlockingIOError or returns no frame, which is end-of-file.
"""
import array
import collections
import errno
import fcntl
import os
import struct
import termios
import types

from . import _uapi
from ._uapi import BPIPE_UNSET as UNSET

__all__ = ["Channel", "Frame", "UNSET", "add", "channels", "remove"]

DEFAULT = "bpipe"
CONTROL = "/dev/bpipe-control"
_CLASS_DIR = "/sys/class/bpipe"
_MODES = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR, "": os.O_ACCMODE}

_FRAME = struct.Struct("=" + "".join(kind for _, kind, _ in _uapi.STRUCTS["bpipe_frame"]))

Frame = collections.namedtuple("Frame", "seq time_ns lost class_ flags data")
Frame.__doc__ = """A record, with its number, the time it was written, and the records of its
class that were dropped just before it."""


def _size(name):
    return sum(_size_of(kind) * (count or 1) for _, kind, count in _uapi.STRUCTS[name])


def _size_of(kind):
    return _size(kind) if kind in _uapi.STRUCTS else struct.calcsize("=" + kind)


def _enum(name, kind):
    """Return the values of a field's words; empty for a field without words."""
    return _uapi.ENUMS.get("bpipe_" + name, {}) if kind == "I" else {}


def _word(name, kind, value):
    for word, number in _enum(name, kind).items():
        if number == value:
            return word
    return value


def _unpack(name, buffer, at=0):
    """Return a structure as a namespace."""
    found = types.SimpleNamespace()
    for field, kind, count in _uapi.STRUCTS[name]:
        size = _size_of(kind)
        if kind in _uapi.STRUCTS:
            value = [_unpack(kind, buffer, at + i * size) for i in range(count)]
        elif kind == "s":
            value = bytes(buffer[at:at + count]).split(b"\0", 1)[0].decode()
        else:
            value = struct.unpack_from("=%d%s" % (count or 1, kind), buffer, at)
            value = list(value) if count else _word(field, kind, value[0])
        if field in ("dropped_bytes", "dropped_records") and count:
            value = {word: value[number] for word, number in _uapi.ENUMS["bpipe_drop"].items()
                     if number < count}
        if not field.startswith("pad"):
            setattr(found, field, value)
        at += size * (count or 1)
    return found


def _bit(prefix, field, index=None):
    """Return the bit of a structure's mask for a field, or for an element of an array."""
    bit = getattr(_uapi, prefix + field.upper(), None)
    if bit is None:
        raise TypeError("no such setting: " + field)
    return bit if index is None else bit(index)


def _put(buffer, at, field, kind, value):
    if isinstance(value, str):
        words = _enum(field, kind)
        if value not in words:
            raise ValueError("%s: not one of %s: %r" % (field, ", ".join(words), value))
        value = words[value]
    struct.pack_into("=" + kind, buffer, at, value)


def _pack(name, prefix, settings):
    """Return a structure with these fields, and their bits in its mask."""
    buffer = bytearray(_size(name))
    mask = at = 0
    settings = {field.rstrip("_"): value for field, value in settings.items()}
    for field, kind, count in _uapi.STRUCTS[name]:
        value = settings.pop(field, None)
        if value is not None and count:
            if not isinstance(value, dict):
                value = dict(enumerate(value))
            for index, element in value.items():
                if not 0 <= index < count:
                    raise IndexError("%s: no such class: %r" % (field, index))
                mask |= _bit(prefix, field, index)
                _put(buffer, at + index * _size_of(kind), field, kind, element)
        elif value is not None:
            mask |= _bit(prefix, field[:-3] if field == "delay_us" else field)
            _put(buffer, at, field, kind, value)
        at += _size_of(kind) * (count or 1)
    if settings:
        raise TypeError("no such setting: " + ", ".join(settings))
    struct.pack_into("=Q", buffer, 0, mask)
    return buffer


def _path(channel):
    if "/" in channel:
        return channel
    return "/dev/" + ("" if channel.startswith(DEFAULT) else _uapi.BPIPE_NAME_PREFIX) + channel


def _added_name(channel):
    """Return the name that a channel was added with, as a field of a command."""
    node = channel[len("/dev/"):] if channel.startswith("/dev/") else channel
    if node.startswith(_uapi.BPIPE_NAME_PREFIX):
        node = node[len(_uapi.BPIPE_NAME_PREFIX):]
    name = node.encode()
    if len(name) > _uapi.BPIPE_NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), channel)
    return name


class Channel:
    """An open file of a channel.

    channel is a name ("jobs"), a node ("bpipe-jobs") or a path. mode is "r" for a reader, "w"
    for a writer, "rw" for both, or "" for neither: to configure and to observe. With nonblock,
    calls that would wait raise BlockingIOError.
    """

    def __init__(self, channel=DEFAULT, mode="r", nonblock=False):
        self._fd = -1
        self._framed = False
        self._room = 65536
        if mode not in _MODES:
            raise ValueError("not a mode: %r" % (mode,))
        self._fd = os.open(_path(channel), _MODES[mode] | os.O_CLOEXEC |
                           (os.O_NONBLOCK if nonblock else 0))
        try:
            self.features()
        except OSError:
            self.close()
            raise

    def fileno(self):
        """Return the file descriptor."""
        if self._fd < 0:
            raise ValueError("the channel is closed")
        return self._fd

    def close(self):
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()

    def _get(self, command, name):
        buffer = bytearray(_size(name))
        fcntl.ioctl(self.fileno(), command, buffer)
        return _unpack(name, buffer)

    def read(self, size=65536):
        """Read bytes, or one record. b"" is end-of-file."""
        return os.read(self.fileno(), size)

    def write(self, data):
        """Write bytes, or one record. Return how many bytes were taken."""
        return os.write(self.fileno(), data)

    def features(self):
        """Return what the module can do, a struct bpipe_features."""
        return self._get(_uapi.BPIPE_GET_FEATURES, "bpipe_features")

    def config(self):
        """Return the configuration in force, a struct bpipe_config."""
        return self._get(_uapi.BPIPE_GET_CONFIG, "bpipe_config")

    def set_config(self, **settings):
        """Set fields of struct bpipe_config, all or none.

        limit, ttl and sojourn take a list for all classes, or a dictionary for some.
        """
        fcntl.ioctl(self.fileno(), _uapi.BPIPE_SET_CONFIG,
                    _pack("bpipe_config", "BPIPE_CFG_", settings))

    def stats(self):
        """Return a consistent snapshot of all counters, a struct bpipe_stats."""
        return self._get(_uapi.BPIPE_GET_STATS, "bpipe_stats")

    def window(self):
        """Return how much can be written now, a struct bpipe_window."""
        return self._get(_uapi.BPIPE_GET_WINDOW, "bpipe_window")

    def events(self):
        """Return what happened since the last call, a struct bpipe_events, and forget it."""
        return self._get(_uapi.BPIPE_GET_EVENTS, "bpipe_events")

    def set_reader(self, **settings):
        """Set fields of struct bpipe_reader for this file."""
        fcntl.ioctl(self.fileno(), _uapi.BPIPE_SET_READER,
                    _pack("bpipe_reader", "BPIPE_READER_", settings))
        if "framed" in settings:
            self._framed = bool(settings["framed"])

    def set_writer(self, **settings):
        """Set fields of struct bpipe_writer for this file. The class is class_."""
        fcntl.ioctl(self.fileno(), _uapi.BPIPE_SET_WRITER,
                    _pack("bpipe_writer", "BPIPE_WRITER_", settings))

    def grant(self, amount):
        """Let writers write so many bytes or records more, in a channel with credit."""
        fcntl.ioctl(self.fileno(), _uapi.BPIPE_GRANT, struct.pack("=Q", amount))

    def reset_peaks(self):
        """Reset peak_level and longest_stall_ns, and end the alarm."""
        fcntl.ioctl(self.fileno(), _uapi.BPIPE_RESET_PEAKS)

    def _next_length(self):
        buffer = bytearray(4)
        fcntl.ioctl(self.fileno(), termios.FIONREAD, buffer)
        return struct.unpack("=i", buffer)[0]

    def read_frames(self):
        """Read records, as many as fit. Return a list of Frame; it is empty at end-of-file."""
        if not self._framed:
            self.set_reader(framed=True)
        while True:
            try:
                return list(self._frames_of(self.read(self._room)))
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
            # Another reader may take the long record first, so this may be too much.
            self._room = max(2 * self._room, _FRAME.size + self._next_length())

    @staticmethod
    def _frames_of(buffer):
        at = 0
        while at < len(buffer):
            seq, time_ns, lost, length, class_, flags = _FRAME.unpack_from(buffer, at)
            at += _FRAME.size
            yield Frame(seq, time_ns, lost, class_, flags, buffer[at:at + length])
            at += length

    def frames(self):
        """Yield records until end-of-file."""
        frames = self.read_frames()
        while frames:
            yield from frames
            frames = self.read_frames()


def _control(command, buffer):
    fd = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, command, buffer)
    finally:
        os.close(fd)


def channels():
    """Return the names of the nodes of all channels, sorted."""
    return sorted(entry.name for entry in os.scandir(_CLASS_DIR) if entry.is_symlink())


def add(name, **settings):
    """Add a channel, whose configuration differs from a new one's in these fields."""
    config = array.array("B", _pack("bpipe_config", "BPIPE_CFG_", settings))
    address, size = config.buffer_info()
    _control(_uapi.BPIPE_ADD, struct.pack("=%dsQII" % _uapi.BPIPE_NAME_MAX, _added_name(name),
                                          address, size, 0))


def remove(name, drain=False, force=False):
    """Remove a channel that is not open; with drain once it was read, with force at once."""
    flags = (_uapi.BPIPE_REMOVE_DRAIN if drain else 0) | (_uapi.BPIPE_REMOVE_FORCE if force else 0)
    _control(_uapi.BPIPE_REMOVE, struct.pack("=%dsII" % _uapi.BPIPE_NAME_MAX, _added_name(name),
                                             flags, 0))
