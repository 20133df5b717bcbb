// Package negotiate authenticates HTTP requests with the user's Kerberos ticket (SPNEGO).
package negotiate
