"""File systems of their own, small and breakable, for a gateway's spool. They are mounted in a mount namespace of the test process, so
nobody else sees them and its end takes them away."""
import ctypes
import fcntl
import os
import pathlib
import struct
import subprocess

import pytest

from .world import IS_ROOT, folder, remove, wait_until

CLONE_NEWNS = 0x00020000
EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
SHUTDOWN_WITHOUT_LOG = 2
FRONT = 2 << 20

_own_namespace = False


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


def must(*command):
    ok, text = run(*command)
    assert ok, f"{command}: {text}"
    return text


def _enter_namespace():
    """All that this process starts from now on sees its mounts; its other threads do not, and need not."""
    global _own_namespace
    if _own_namespace:
        return
    if not IS_ROOT:
        pytest.skip("only root mounts file systems")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        pytest.skip(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    ok, text = run("mount", "--make-rprivate", "/")
    if not ok:
        pytest.skip(f"no mount namespace: {text}")
    _own_namespace = True


class Disk:
    """A tmpfs, of so many bytes and inodes."""

    def __init__(self, size, inodes=0):
        _enter_namespace()
        self.at = folder() / "disk"
        self.at.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes},mode=755", "none")

    def _mount(self, *options):
        ok, text = run("mount", *options, self.at)
        if not ok:
            self.close()
            pytest.skip(f"cannot mount: {text}")

    @property
    def free(self):
        info = os.statvfs(self.at)
        return info.f_bavail * info.f_frsize

    def fill(self, name="ballast", leave=0):
        """Takes what is free, to the last byte where nothing is to be left."""
        with open(self.at / name, "ab", buffering=0) as f:
            for piece in (1 << 20, 4096):
                data = b"b" * piece
                try:
                    while self.free >= leave + piece:
                        f.write(data)
                except OSError:
                    pass

    def fill_inodes(self, word="n"):
        """No further file can be made."""
        n = 0
        try:
            (self.at / "names").mkdir(exist_ok=True)
            while True:
                (self.at / "names" / f"{word}{n}").touch()
                n += 1
        except OSError:
            pass

    def empty(self, name="ballast"):
        if name == "names":
            for path in (self.at / "names").iterdir():
                path.unlink()
        else:
            (self.at / name).unlink()

    def resize(self, size):
        must("mount", "-o", f"remount,size={size}", self.at)

    def unmount(self):
        wait_until("the file system is let go", lambda: run("umount", self.at)[0])

    def close(self):
        run("umount", "-l", self.at)
        remove(self.at.parent)


class Ext4(Disk):
    """An ext4 on a file. thin: the file has no blocks for what is not written yet and lies on a small tmpfs, so that a device may fail
    where its file system sees room, as thinly provisioned ones do: fsync says EIO."""

    def __init__(self, size, thin=None, journal=True):
        _enter_namespace()
        self.below = Disk(thin) if thin else None
        home = self.below.at if thin else folder()
        self.home = None if thin else home
        self.image = home / "image"
        with open(self.image, "wb") as f:
            f.truncate(size)
        must("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-N",
             "1024", "-O", ("" if journal else "^has_journal,") + "^resize_inode,^flex_bg", self.image)
        if thin:
            self._allocate_front()
        self.at = folder() / "disk"
        self.at.mkdir()
        self.mount()

    def _allocate_front(self):
        """What the file system keeps about itself, all of it at the front of its only group, has its blocks: just data fail."""
        with open(self.image, "r+b") as f:
            front = f.read(FRONT)
            f.seek(0)
            f.write(front)

    def mount(self):
        self._mount("-o", "loop,errors=continue", self.image)
        # A loop device takes a short write below it for a whole one: here each is one page, which fits or does not.
        limit = pathlib.Path("/sys/block") / pathlib.Path(self.device).name / "queue" / "max_sectors_kb"
        if self.below:
            limit.write_text("4\n")

    @property
    def device(self):
        return must("findmnt", "-n", "-o", "SOURCE", self.at).strip()

    def shut_down(self):
        """From now on everything that would reach the device says EIO, as after a pulled cable."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", SHUTDOWN_WITHOUT_LOG))
        except OSError as e:
            pytest.skip(f"this kernel shuts down no ext4: {e}")
        finally:
            os.close(fd)

    def turn_read_only(self):
        """What the kernel does when it finds a file system damaged."""
        must("mount", "-o", "remount,errors=remount-ro", self.at)
        trigger = pathlib.Path("/sys/fs/ext4") / pathlib.Path(self.device).name / "trigger_fs_error"
        if not trigger.exists():
            pytest.skip("this kernel damages no ext4 on request")
        trigger.write_text("a test\n")

    def repair(self):
        self.unmount()
        run("e2fsck", "-p", "-f", self.image)
        self.mount()

    def close(self):
        super().close()
        if self.below:
            self.below.close()
        if self.home:
            remove(self.home)
