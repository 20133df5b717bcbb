// Command rawstatus finds bad pixels of large X-ray detectors in raw data.
package main
