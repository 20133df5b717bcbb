// Package access is the policy by which shared trees stay usable for a whole group: modes of
// directories and files, and the group that owns them, whatever the umask of who writes.
package access
