"""
A server that is slow to accept, and its clients, in one program: at any moment some connections wait. Each client sends
a number and wants it back; what goes wrong is said. It ends when the file FOLDER/end is there.
"""

import os
import socket
import sys
import threading
import time

END = os.path.join(sys.argv[1], "end")
WAITS_S = 0.2
CLIENTS = 4

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
place = listener.getsockname()
answered = [0]


def serve():
    listener.settimeout(0.05)
    while True:
        time.sleep(WAITS_S)
        try:
            while True:
                taken, _ = listener.accept()
                taken.settimeout(None)
                taken.sendall(taken.recv(16))
                taken.close()
        except TimeoutError:
            pass


def ask(number):
    while not os.path.exists(END):
        try:
            with socket.create_connection(place) as client:
                client.sendall(b"%8d" % number)
                said = b""
                while len(said) < 8:
                    part = client.recv(8)
                    if not part:
                        raise OSError("closed without an answer")
                    said += part
            if int(said) != number:
                raise OSError("another's answer")
            answered[0] += 1
        except OSError as error:
            print("not so: ", error, flush=True)
            return


threading.Thread(target=serve, daemon=True).start()
asking = [threading.Thread(target=ask, args=(at,)) for at in range(CLIENTS)]
for one in asking:
    one.start()
while answered[0] < CLIENTS:
    time.sleep(0.01)
print("ready", flush=True)
for one in asking:
    one.join()
print("done", flush=True)
