"""What is in the memory of a process, read as root may."""
import re

SHADOW = 1 << 32  # AddressSanitizer keeps books in areas of terabytes, in which no data lie


def holds(pid, *wanted):
    """Those of these bytes that lie in memory of the process that it can read or write."""
    found = set()
    with open(f"/proc/{pid}/maps") as f:
        maps = [re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line) for line in f]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for one in maps:
            begin, end = int(one[1], 16), int(one[2], 16)
            if one[3][0] != "r" or one[4] in ("[vvar]", "[vsyscall]") or end - begin > SHADOW:
                continue
            found |= _in_range(memory, begin, end, wanted)
    return found


PIECE = 16 << 20


def _in_range(memory, begin, end, wanted):
    found, longest = set(), max(map(len, wanted))
    while begin < end:
        try:
            memory.seek(begin)
            data = memory.read(min(PIECE, end - begin))
        except (OSError, OverflowError):
            return found  # reserved, never used
        if not data:
            return found
        found |= {one for one in wanted if one in data}
        if len(data) <= longest:
            return found
        begin += len(data) if begin + len(data) >= end else len(data) - longest
    return found
