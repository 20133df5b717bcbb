package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rawstatus/internal/stats/kernel"
)

// facts are the conditions of a figure that a reader cannot guess.
type facts struct {
	Time    time.Time `json:"time"`
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	MemGiB  float64   `json:"memory_gib"`
	Kernel  string    `json:"os_kernel"`
	Go      string    `json:"go"`
	Levels  []string  `json:"levels"`
	FS      string    `json:"file_system"`
	Load    float64   `json:"load"`   // of the machine when the run began
	Stolen  float64   `json:"stolen"` // share of time that the hypervisor gave to others since boot
	Scratch string    `json:"-"`
}

func machine(scratch string) facts {
	f := facts{Time: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Go: runtime.Version(), Levels: kernel.Names()}
	f.CPU = field("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 64); err == nil {
		f.MemGiB = kib / (1 << 20)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		f.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var st unix.Statfs_t
	if unix.Statfs(scratch, &st) == nil {
		f.FS = fmt.Sprintf("%#x", uint32(st.Type))
		if name, ok := map[uint32]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.TMPFS_MAGIC: "tmpfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.NFS_SUPER_MAGIC: "nfs"}[uint32(st.Type)]; ok {
			f.FS = name
		}
	}
	f.Load, f.Stolen = load(), stolen()
	return f
}

// field returns what stands behind a name and a colon in a file of /proc.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// kib reads a field of /proc/self/status that is in kB, in bytes.
func kib(name string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/self/status", name), " kB"), 10, 64)
	return n << 10
}

func load() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	var one float64
	_, _ = fmt.Sscan(string(text), &one)
	return one
}

func stolen() float64 {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	var sum, steal float64
	for i, w := range strings.Fields(line) {
		if n, err := strconv.ParseFloat(w, 64); err == nil && i <= 8 {
			sum += n
			if i == 8 {
				steal = n
			}
		}
	}
	return steal / max(sum, 1)
}

func (f facts) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, %.0f GiB, Linux %s, %s, %s\n", f.CPU, f.Cores, f.MemGiB, f.Kernel, f.FS, f.Go)
	fmt.Fprintf(w, "kernels: %s; load %.2f, stolen %.1f %%; %s\n", strings.Join(f.Levels, " "), f.Load, 100*f.Stolen, f.Time.Format(time.RFC3339))
}
