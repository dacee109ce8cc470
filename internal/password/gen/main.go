// Command gen writes common.txt, the built-in list of refused passwords
// (PW-3), sorted and in the folded form that package password looks up: lower
// case, without separators and signs at the end.
//
// Public lists hold hardly any password of 15 characters, so gen makes them the
// way people do who have to fill 15 places: common words with a predictable
// tail, two or three of them in a row, walks over the keyboard, well-known
// phrases. The common words, and the short passwords that matter where an
// operator lowers the minimum, come from the frequency lists of zxcvbn (MIT,
// see common.LICENSE), in Debian's package python3-zxcvbn.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	shortest = 8  // the lowest minimum that may be set
	long     = 15 // the default minimum
	longest  = 40
)

func main() {
	source := flag.String("lists", "/usr/lib/python3/dist-packages/zxcvbn/frequency_lists.py", "zxcvbn's frequency lists")
	flag.Parse()
	lists, err := readLists(*source)
	if err != nil {
		log.Fatal(err)
	}
	s := make(set)
	for _, p := range lists["passwords"][:20000] {
		s.add(shortest, p)
	}
	for _, list := range lists {
		for _, w := range list {
			s.add(long, w)
		}
	}
	words := letters(lists["passwords"])
	s.addWalks()
	s.addTails(words[:120], numberTails())
	s.addPairs(words[:50])
	s.addTails(phrases(words[:80]), []string{""})
	if err := os.WriteFile("common.txt", []byte(strings.Join(slices.Sorted(maps.Keys(s)), "\n")+"\n"), 0o644); err != nil {
		log.Fatal(err)
	}
}

// readLists reads the lines `"name": "a,b,c".split(","),` of a Python source.
func readLists(path string) (map[string][]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lists := make(map[string][]string)
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if part := strings.Split(lines.Text(), `"`); len(part) >= 5 {
			lists[part[1]] = strings.Split(part[3], ",")
		}
	}
	if len(lists["passwords"]) == 0 {
		return nil, fmt.Errorf("%s holds no list of passwords", path)
	}
	return lists, lines.Err()
}

// letters returns those of the passwords, most common first, that are words.
func letters(passwords []string) (words []string) {
	for _, p := range passwords {
		if len(p) >= 4 && strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") == "" {
			words = append(words, p)
		}
	}
	return words
}

type set map[string]struct{}

// add adds a password, folded, if it has at least so many characters.
func (s set) add(atLeast int, password string) {
	folded := strings.NewReplacer(" ", "", "-", "", "_", "", ".", "", ",", "").Replace(strings.ToLower(password))
	folded = strings.TrimRight(folded, "!?*#")
	if len(folded) >= atLeast && len(folded) <= longest {
		s[folded] = struct{}{}
	}
}

func (s set) addTails(words, tails []string) {
	for _, w := range words {
		for _, t := range tails {
			s.add(long, w+t)
		}
	}
}

// addPairs adds every two words in a row, and each of them three times.
func (s set) addPairs(words []string) {
	for _, a := range words {
		for _, b := range words {
			s.add(long, a+b)
		}
		s.add(long, a+a+a)
	}
}

// addWalks adds walks over the keyboard, the alphabet and the digits, in both
// directions, up to the length of the path.
func (s set) addWalks() {
	for _, path := range []string{
		"123456789012345678901234567890", "012345678901234567890123456789",
		"987654321098765432109876543210", "abcdefghijklmnopqrstuvwxyz1234567890", "abcdefghijklmnopqrstuvwxyzabcdefghij",
		"qwertyuiopasdfghjklzxcvbnm1234567890", "1234567890qwertyuiopasdfghjklzxcvbnm",
		"qwertzuiopasdfghjklyxcvbnm1234567890", "azertyuiopqsdfghjklmwxcvbn1234567890",
		"qwertyuiop[]asdfghjkl;'zxcvbnm", "qwertyuiop1234567890", "qwerty1234567890", "asdfghjkl1234567890", "zxcvbnm1234567890",
		"zxcvbnmasdfghjklqwertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp1234567890",
		"zaq1xsw2cde3vfr4bgt5nhy6mju7", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "a1b2c3d4e5f6g7h8i9j0",
		"qweasdzxcrtyfghvbn", "123qweasdzxcrtyfghvbn", "1a2b3c4d5e6f7g8h9i0j", "qwerqwerasdfasdfzxcv", "1234qwerasdfzxcv5678",
		"112233445566778899001122", "111222333444555666777888", "aabbccddeeffgghhiijj", "abc123def456ghi789", "0102030405060708091011",
	} {
		reverse := []byte(path)
		slices.Reverse(reverse)
		for _, p := range []string{path, string(reverse)} {
			for from := 0; from+long <= len(p); from++ {
				for to := from + long; to <= len(p); to++ {
					// Who starts in the middle walks to the end.
					if from == 0 || to == len(p) {
						s.add(long, p[from:to])
					}
				}
			}
		}
	}
}

// numberTails returns the digits that people put behind a word, without those
// of up to four digits: they are cut off before the list is searched.
func numberTails() []string {
	tails := []string{
		"123123", "123321", "123123123", "112233", "11223344", "1122334455",
		"54321", "654321", "7654321", "87654321", "987654321", "0987654321",
	}
	for n := 5; n <= 10; n++ {
		tails = append(tails, "1234567890"[:n])
		for _, d := range "017" {
			tails = append(tails, strings.Repeat(string(d), n))
		}
	}
	for year := 2020; year <= 2027; year++ {
		y := strconv.Itoa(year)
		tails = append(tails, "123"+y, y+"123", y+y)
	}
	return tails
}

// phrases returns well-known phrases and what common words make of templates.
func phrases(words []string) []string {
	all := strings.Fields(phraseText)
	for _, w := range words {
		for _, before := range []string{"ilove", "iloveyou", "ilovemy", "iam", "mynameis", "mypassword", "mypasswordis", "thepassword", "password", "welcome", "welcometo", "letmein", "iamthe", "super", "admin", "changeme"} {
			all = append(all, before+w)
		}
		all = append(all, w+"forever", w+"password", w+"admin")
	}
	for _, season := range []string{"spring", "summer", "autumn", "winter", "january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december"} {
		all = append(all, season+season, season+"password", season+"time", "password"+season, season+"2024"+season)
	}
	return all
}
