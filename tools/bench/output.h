// SPDX-License-Identifier: GPL-2.0-or-later
// Tables for people, JSON for programs, progress on stderr.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace synward::bench {

// Columns are as wide as their widest cell; numbers (by their first character) stand right.
class Table {
  public:
    explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    std::string text() const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

// `-j`: where JSON goes. With "-" it replaces the table on stdout.
class Output {
  public:
    std::string json_path;  // empty: none

    bool table_wanted() const { return json_path != "-"; }
    void print(const std::string& text) const;             // to stdout if a table is wanted
    void write(const nlohmann::ordered_json& json) const;  // throws when the file cannot be written
};

void progress(const std::string& text);  // one line on stderr

std::string count_text(double n);  // 12.3 M, 45.6 k, 789

}  // namespace synward::bench
