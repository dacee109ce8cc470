package main

import "strings"

// Names that people get. Together with a number they make every address
// different.
//
//nolint:gochecknoglobals // tables that are never written
var (
	firstNames = strings.Fields(`Ada Alan Barbara Bjarne Carol Claude Dennis Donald Edith Edsger Frances Fred Grace Gordon
		Hedy Herman Ida Ivan Jean John Karen Ken Leslie Linus Margaret Maurice Niklaus Noor Olga Oscar Peter Radia
		Richard Rosa Shafi Sophie Tim Tony Ursula Vint Wendy Whitfield Xenia Yukihiro Zelda`)
	lastNames = strings.Fields(`Allen Backus Bartik Bell Booth Brooks Cerf Church Clarke Codd Conway Dahl Diffie Dijkstra
		Easley Engelbart Estrin Floyd Forsythe Goldberg Goldwasser Gray Hamilton Hamming Hoare Holberton Hopper Huffman
		Iverson Johnson Kahn Kay Knuth Lamarr Lamport Liskov Lovelace McCarthy Minsky Naur Noether Nygaard Perlman
		Ritchie Sammet Shannon Sutherland Thompson Turing Vaughan Wilkes Wilson Wirth Zuse`)
	domains = strings.Fields(`example.com mail.example.com example.org staff.example.net example.edu`)
)
