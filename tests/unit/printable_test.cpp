// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/printable.h"

#include <gtest/gtest.h>

namespace synward {
namespace {

TEST(Printable, TextStaysAsItIs) {
    EXPECT_EQ(printable("a b~"), "a b~");
    EXPECT_EQ(printable("Gr\u00fc\u00dfe \u65e5\u672c \U0001f512"),
              "Gr\u00fc\u00dfe \u65e5\u672c \U0001f512");
    EXPECT_EQ(in_quotes(""), "''");
}

TEST(Printable, WhatATerminalObeysIsMarked) {
    EXPECT_EQ(printable("\033[31m\a\n\r\t\x7f"), "?[31m?????");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
    EXPECT_EQ(printable("\u009b31m"), "??31m") << "CSI in one character";
    EXPECT_EQ(printable("\u202egpj.exe"), "???gpj.exe");
}

TEST(Printable, WhatIsNoUtf8IsMarked) {
    for (const char* bytes : {"\xff", "\x9b", "\xc3", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                              "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82"})
        EXPECT_EQ(printable(bytes), std::string(std::string_view(bytes).size(), '?'));
}

TEST(Printable, IsCutBetweenCharacters) {
    EXPECT_EQ(printable(std::string(60, 'a')), std::string(60, 'a'));
    EXPECT_EQ(in_quotes(std::string(61, 'a')), "'" + std::string(60, 'a') + "...'");
    EXPECT_EQ(printable("ab\u00fcc", 3), "ab...");
    EXPECT_EQ(printable("ab\u00fcc", 5), "ab\u00fcc");
}

}  // namespace
}  // namespace synward
