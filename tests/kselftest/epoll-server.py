#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""An epoll server that writes the records of many clients to the device.

While the device is full, the server reads from no client, so that backpressure
reaches the clients. Every record of every client must come out once, whole and
in order. Exit status: 0 if so, 1 if not.
"""

import os
import select
import socket
import struct

DEVICE = '/dev/bpipe'
SYSFS = '/sys/class/bpipe/bpipe/'
CLIENTS = 25
RECORDS = 60
RECORD = struct.Struct('II248x')        # client, number


def attribute(name):
    with open(SYSFS + name) as file:
        return int(file.read())


def start(work, *args):
    """Run work(*args) in a child process; return its pid."""
    pid = os.fork()
    if pid == 0:
        work(*args)
        os._exit(0)
    return pid


def client(address, number):
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        for record in range(RECORDS):
            server.sendall(RECORD.pack(number, record))


def put(device, room, record):
    while True:
        try:
            return os.write(device, record)
        except BlockingIOError:
            room.poll()


def serve(listener):
    device = os.open(DEVICE, os.O_WRONLY | os.O_NONBLOCK)
    clients, room = select.epoll(), select.epoll()
    clients.register(listener, select.EPOLLIN)
    room.register(device, select.EPOLLOUT)
    peers = {}          # by descriptor: socket, and the part of a record received so far
    ended = 0
    while ended < CLIENTS:
        for fd, _ in clients.poll():
            if fd == listener.fileno():
                peer = listener.accept()[0]
                peers[peer.fileno()] = peer, bytearray()
                clients.register(peer, select.EPOLLIN)
                continue
            peer, record = peers[fd]
            data = peer.recv(RECORD.size - len(record))
            record += data
            if not data:
                ended += 1
                peers.pop(fd)[0].close()
            elif len(record) == RECORD.size:
                put(device, room, record)
                record.clear()


def main():
    with open(SYSFS + 'size', 'w') as file:
        file.write('64K')
    before = attribute('again')
    device = os.open(DEVICE, os.O_RDONLY)
    pressure = select.poll()
    pressure.register(os.open(DEVICE, os.O_ACCMODE), select.POLLPRI)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind('\0bpipe-epoll-server')
    listener.listen(CLIENTS)
    children = [start(serve, listener)]
    children += [start(client, listener.getsockname(), n) for n in range(CLIENTS)]

    # Do not read before the server has found the device full.
    pressure.poll()
    while attribute('again') == before:
        os.sched_yield()

    due = [0] * CLIENTS
    rest = b''
    while data := os.read(device, 10007):
        rest += data
        whole = len(rest) - len(rest) % RECORD.size
        for number, record in RECORD.iter_unpack(rest[:whole]):
            assert record == due[number], f'client {number}: {record}, expected {due[number]}'
            due[number] += 1
        rest = rest[whole:]
    assert not rest, f'{len(rest)} bytes of an incomplete record'
    assert due == [RECORDS] * CLIENTS, f'records read, by client: {due}'
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0, 'a child process failed'


main()
