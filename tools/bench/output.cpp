// SPDX-License-Identifier: GPL-2.0-or-later
#include "output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace synward::bench {
namespace {

bool is_number(const std::string& cell) {
    const size_t at = !cell.empty() && (cell[0] == '-' || cell[0] == '+') ? 1 : 0;
    return cell == "-" || (cell.size() > at && std::isdigit(static_cast<unsigned char>(cell[at])));
}

}  // namespace

std::string Table::text() const {
    std::vector<size_t> widths;
    for (const auto& row : rows_)
        for (size_t i = 0; i < row.size(); ++i) {
            if (widths.size() <= i) widths.push_back(0);
            widths[i] = std::max(widths[i], row[i].size());
        }
    std::string out;
    for (size_t r = 0; r < rows_.size(); ++r) {
        std::string line;
        for (size_t i = 0; i < rows_[r].size(); ++i) {
            // a head stands as its column does
            const bool right =
                is_number(r == 0 && rows_.size() > 1 && i < rows_[1].size() ? rows_[1][i] : rows_[r][i]);
            line += right ? fmt::format("{:>{}}  ", rows_[r][i], widths[i])
                          : fmt::format("{:<{}}  ", rows_[r][i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

void Output::print(const std::string& text) const {
    if (!table_wanted()) return;
    fmt::print("{}", text);
    fflush(stdout);
}

void Output::write(const nlohmann::ordered_json& json) const {
    if (json_path.empty()) return;
    const std::string text = json.dump(2) + "\n";
    if (json_path == "-") {
        fmt::print("{}", text);
        return;
    }
    std::ofstream file(json_path);
    file << text;
    if (!file.flush()) throw std::runtime_error(fmt::format("cannot write {}", json_path));
}

void progress(const std::string& text) {
    fmt::print(stderr, "{}\n", text);
}

std::string count_text(double n) {
    if (n >= 1e6) return fmt::format("{:.2f} M", n / 1e6);
    if (n >= 1e4) return fmt::format("{:.1f} k", n / 1e3);
    return fmt::format("{:.0f}", n);
}

}  // namespace synward::bench
